// SPDX-License-Identifier: Apache-2.0 OR MIT

package admit

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:extension/admit@0.1.0#judge
func export(at uint32) uint32 { return abi.Result(judge(abi.At[Review](at))) }
