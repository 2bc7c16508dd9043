;; WASI preview1, answered inside the component: a plugin imports nothing that it is not granted.
;;
;; The C library and Go's runtime call these functions whether the plugin needs them or not. Here there are no files, no arguments, no
;; environment. The clock is the program's own: it moves by a microsecond each time it is read, and a sleep sets it to the end of the sleep, so that
;; nothing ever waits. Random numbers are the same in each instance. What is printed goes nowhere. Calls that stay inside may be made at any
;; moment, while the host hands over arguments too: that is when Go collects its garbage.
(module
  (import "env" "memory" (memory 0))

  ;; Nanoseconds since 1970: 2020-01-01T00:00:00Z when the instance begins.
  (global $now (mut i64) (i64.const 1577836800000000000))
  (global $random (mut i64) (i64.const 0x9e3779b97f4a7c15))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
    (global.set $now (i64.add (global.get $now) (i64.const 1000)))
    (i64.store (local.get $to) (global.get $now))
    (i32.const 0))
  (func (export "clock_res_get") (param $clock i32) (param $to i32) (result i32)
    (i64.store (local.get $to) (i64.const 1000))
    (i32.const 0))

  ;; When the subscription at this place is due; a file descriptor never is, or rather at once, with an error.
  (func $due (param $at i32) (result i64)
    (if (i32.ne (i32.load8_u offset=8 (local.get $at)) (i32.const 0)) (then (return (i64.const 0))))
    (if (result i64) (i32.and (i32.load16_u offset=40 (local.get $at)) (i32.const 1))
      (then (i64.load offset=24 (local.get $at)))
      (else (i64.add (global.get $now) (i64.load offset=24 (local.get $at))))))
  ;; Moves the clock to the first of the events that are waited for, and reports those that are due then.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $found i32) (result i32)
    (local $i i32) (local $at i32) (local $first i64) (local $n i32)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
    (local.set $first (i64.const 0x7fffffffffffffff))
    (loop $each
      (local.set $at (i32.add (local.get $in) (i32.mul (local.get $i) (i32.const 48))))
      (if (i64.lt_u (call $due (local.get $at)) (local.get $first)) (then (local.set $first (call $due (local.get $at)))))
      ;; Written down as an absolute time, because the clock moves before it is compared.
      (if (i32.eqz (i32.load8_u offset=8 (local.get $at)))
        (then
          (i64.store offset=24 (local.get $at) (call $due (local.get $at)))
          (i32.store16 offset=40 (local.get $at) (i32.const 1))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $i) (local.get $count))))
    (if (i64.gt_u (local.get $first) (global.get $now)) (then (global.set $now (local.get $first))))
    (local.set $i (i32.const 0))
    (loop $each
      (local.set $at (i32.add (local.get $in) (i32.mul (local.get $i) (i32.const 48))))
      (if (i64.le_u (call $due (local.get $at)) (global.get $now))
        (then
          (i64.store (local.get $out) (i64.load (local.get $at)))
          (i64.store offset=8 (local.get $out) (i64.const 0))
          (i64.store offset=16 (local.get $out) (i64.const 0))
          (i64.store offset=24 (local.get $out) (i64.const 0))
          (i32.store8 offset=10 (local.get $out) (i32.load8_u offset=8 (local.get $at)))
          (if (i32.load8_u offset=8 (local.get $at)) (then (i32.store16 offset=8 (local.get $out) (i32.const 8))))
          (local.set $out (i32.add (local.get $out) (i32.const 32)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $i) (local.get $count))))
    (i32.store (local.get $found) (local.get $n))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; xorshift64: good enough to seed hash tables, and no secret.
  (func (export "random_get") (param $to i32) (param $size i32) (result i32)
    (block $done
      (loop $each
        (br_if $done (i32.eqz (local.get $size)))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
        (global.set $random (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
        (i64.store8 (local.get $to) (global.get $random))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $each)))
    (i32.const 0))

  ;; No arguments, no environment.
  (func $none (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $size) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func $nothing (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing))
  (export "environ_get" (func $nothing))

  ;; Standard output and error take everything, and it goes nowhere.
  (func (export "fd_write") (param $fd i32) (param $list i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (block $done
      (loop $each
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $list))))
        (local.set $list (i32.add (local.get $list) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $each)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))
  ;; Standard streams are character devices.
  (func (export "fd_fdstat_get") (param $fd i32) (param $to i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $to) (i64.const 2))
    (i64.store offset=8 (local.get $to) (i64.const 0x40))
    (i64.store offset=16 (local.get $to) (i64.const 0))
    (i32.const 0))
  (func (export "fd_fdstat_set_flags") (param $fd i32) (param i32) (result i32)
    (select (i32.const 8) (i32.const 0) (i32.gt_u (local.get $fd) (i32.const 2))))
  (func (export "fd_read") (param $fd i32) (param i32 i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))

  ;; The program ends: the call that it was in fails.
  (func (export "proc_exit") (param i32) unreachable)
  (func (export "proc_raise") (param i32) (result i32) unreachable)

  ;; There are no other files: `badf`.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8)))
