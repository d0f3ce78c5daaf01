// The CNI plugin: one file that is `swiftlet`, and `swiftlet-ipam` through a link of that name.

import CNIPlugin
import FoundationEssentials

Program(arguments: CommandLine.arguments, environment: ProcessInfo.processInfo.environment).runToExit()
