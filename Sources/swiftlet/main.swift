// The CNI plugin: one file that is `swiftlet`, and `swiftlet-ipam` through a link of that name.

import CNIPlugin

Program(arguments: CommandLine.arguments).runToExit()
