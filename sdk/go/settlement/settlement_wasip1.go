// SPDX-License-Identifier: Apache-2.0 OR MIT

package settlement

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/settlement@0.1.0#settle
func export(at, count uint32) uint32 {
	return abi.Failure(take(abi.Params[[]Instance](uint64(at), uint64(count))))
}
