// SPDX-License-Identifier: Apache-2.0 OR MIT

package metric

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/metric@0.1.0#report
func export(at, count uint32) uint32 {
	return abi.Failure(take(abi.Params[[]Instance](uint64(at), uint64(count))))
}
