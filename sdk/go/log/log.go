// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package log writes lines into logs of the node. The Plugin object must grant the stream: grants: {logs: [STREAM]}.
package log

import "errors"

// Why a line was not written.
var (
	ErrNotGranted  = errors.New("the stream is not granted")
	ErrTooLong     = errors.New("the line is longer than 16 KiB")
	ErrUnavailable = errors.New("the node cannot write now")
)
