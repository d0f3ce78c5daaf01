// The CNI plugin: one file that is `swiftlet`, and `swiftlet-ipam` through a link of that name.

import CNIPlugin
import FoundationEssentials
import Glibc

let program = Program(arguments: CommandLine.arguments, environment: ProcessInfo.processInfo.environment)
exit(await program.run())
