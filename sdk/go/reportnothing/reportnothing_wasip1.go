// SPDX-License-Identifier: Apache-2.0 OR MIT

package reportnothing

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/reportnothing@0.1.0#report
func export(calls uint32) uint32 { return abi.Failure(take(calls)) }
