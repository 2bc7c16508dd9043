// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package listentry answers the template listentry: is this value on the list?
package listentry

import "osier.dev/plugin"

var check func(value string) plugin.Decision

// Check says what answers.
func Check(answer func(value string) plugin.Decision) { check = answer }
