// SPDX-License-Identifier: Apache-2.0 OR MIT

package plugin

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/configuration@0.1.0#configure
func configured(at, size uint32) uint32 {
	return abi.Failure(configure([]byte(abi.Params[string](uint64(at), uint64(size)))))
}
