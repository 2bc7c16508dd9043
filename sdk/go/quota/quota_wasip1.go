// SPDX-License-Identifier: Apache-2.0 OR MIT

package quota

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/quota@0.1.0#allocate
func export(dimensions, count uint32, amount uint64, bestEffort, id, size uint32) uint32 {
	request := abi.Params[Request](uint64(dimensions), uint64(count), amount, uint64(bestEffort), uint64(id), uint64(size))
	return abi.Result(allocate(request))
}
