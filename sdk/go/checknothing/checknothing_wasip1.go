// SPDX-License-Identifier: Apache-2.0 OR MIT

package checknothing

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/checknothing@0.1.0#check
func export() uint32 { return abi.Result(check()) }
