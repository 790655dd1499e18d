#!/usr/bin/env node
/**
 * ipvsadm 1.31, written on this library: its commands and options, its output byte by byte, its
 * errors and exit statuses, for scripts that run `ipvsadm`. A file of that name, executable and
 * first in PATH, makes it the one that they run:
 *
 *     #!/bin/sh
 *     exec node …/dist/examples/ipvsadm.js "$@"
 *
 *     npm run lab -- node dist/examples/ipvsadm.js -L -n
 *
 * prints, where nothing is set,
 *
 *     IP Virtual Server version 1.2.1 (size=4096)
 *     Prot LocalAddress:Port Scheduler Flags
 *       -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
 *
 * What it is told it hands to the kernel through the tables of `ipvs-nl/generic-netlink`, and not
 * through Director: that refuses what cannot work, such as a VIP of 127.0.0.1, and what ipvsadm
 * leaves to the kernel. What it lists comes from Director.
 *
 * It differs from the original where that dies: of `-b ,` it says that it is no flag.
 * `-h` and `-v` say it in other words.
 */

import { spawnSync } from 'node:child_process'
import { ipvsadm } from './ipvsadm/commands.js'
import { systemNames } from './ipvsadm/names.js'

// Who reads no more, as `head`, ends the program.
process.stdout.on('error', () => process.exit(141))

/** Not touched before it is read. */
async function* stdin(): AsyncGenerator<string, void, undefined> {
  for await (const text of process.stdin.setEncoding('utf8')) yield text as string
}

process.exitCode = await ipvsadm(process.argv.slice(2), {
  program:  'ipvsadm',
  names:    systemNames(),
  modprobe: module => { spawnSync('/sbin/modprobe', ['--', module], { stdio: 'inherit' }) },
  stdin:    stdin(),
  stdout:   text => { process.stdout.write(text) },
  stderr:   text => { process.stderr.write(text) },
})
