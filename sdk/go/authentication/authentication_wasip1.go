// SPDX-License-Identifier: Apache-2.0 OR MIT

package authentication

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/authentication@0.1.0#check
func export(at, size uint32) uint32 {
	return abi.Result(check(abi.Params[string](uint64(at), uint64(size))))
}
