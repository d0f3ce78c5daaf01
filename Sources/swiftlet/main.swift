// The CNI plugin: one file that is `swiftlet`, and `swiftlet-ipam` through a link of that name.

import CNIPlugin
import FoundationEssentials
import Glibc

let program = Program(arguments: CommandLine.arguments, environment: ProcessInfo.processInfo.environment)
Task.detached { exit(await program.run()) }

// Not an asynchronous main: that one ends the main thread (dispatch_main, pthread_exit), upon which a static program
// sorts the unwind tables of all its functions. It takes 9 ms, which is longer than an ADD.
while true { pause() }
