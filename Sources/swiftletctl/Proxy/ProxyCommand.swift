import ArgumentParser
import ProxyAPI
import Reports

struct ProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "Look at what swiftlet-proxy has programmed on this node.",
        discussion: """
            Asks the proxy itself, on its local socket; so it has to run on this node, and you have to be the user \
            that it runs as. Changes nothing.
            """,
        subcommands: [Show.self, Trace.self]
    )
}

extension ProxyCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, wide, json, yaml
    }

    struct SocketOption: ParsableArguments {
        @Option(help: ArgumentHelp("The local socket of the proxy.", valueName: "path"))
        var socket = ProxyAPI.defaultSocket
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show Services with their frontends and backends, as they are programmed.",
            discussion: """
                A row for each frontend, which is something that can be dialled:

                  FRONTEND     Address, port and protocol; * is every address of the node that
                               serves node ports, [*] the same of IPv6.
                  POLICY       internalTrafficPolicy for cluster IPs, externalTrafficPolicy for
                               everything else.
                  AFFINITY     How long a client stays with its endpoint.
                  BACKENDS     Where new connections go, each with the same probability;
                               * marks those on this node. "near" are those for this node
                               and its pods where externalTrafficPolicy is Local. Without
                               any: whether clients are rejected, because nothing is ready
                               anywhere, or dropped, because nothing is on this node.
                  CONNECTIONS  How many new connections have arrived, where the proxy runs with
                               --connection-counters.
                  STATE        Programmed; Waiting for the next change of the rules; Refused by
                               the kernel; Conflicting with an older Service that has the same
                               address and port.

                EXIT STATUS
                  1 when a Service is not known, 5 when no proxy answers.

                EXAMPLES
                  swiftletctl proxy show
                  swiftletctl proxy show kube-system/kube-dns -o wide
                  swiftletctl proxy show -n shop --endpoints
                  swiftletctl proxy show -o json | jq '.services[].ports[].frontends[]
                    | select(.state != "Programmed")'
                """
        )

        @Argument(help: ArgumentHelp("Only these Services, as NAMESPACE/NAME or NAME.", valueName: "service"))
        var services: [String] = []

        @Option(name: .shortAndLong, help: ArgumentHelp("Only Services of this namespace.", valueName: "namespace"))
        var namespace: String?

        @Flag(help: "Show a row for each backend, with its share of new connections.")
        var endpoints = false

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = Format.table

        @OptionGroup var socketOption: SocketOption

        func validate() throws {
            for service in services {
                let parts = service.split(separator: "/", omittingEmptySubsequences: false)
                guard parts.count <= 2, !parts.contains(""), parts.count == 1 || namespace == nil else {
                    throw ValidationError(
                        parts.count == 2 && !parts.contains("")
                            ? "\"\(service)\" has a namespace, so that --namespace cannot be given too"
                            : "\"\(service)\" is not NAMESPACE/NAME"
                    )
                }
            }
        }

        func run() throws {
            let socket = ProxySocket(path: socketOption.socket)
            var pages: [ServicePage] = []
            for name in services.isEmpty ? [nil] : services.map(Optional.some) {
                pages += try read(name, from: socket)
            }
            if let awaiting = pages.first?.awaiting, !awaiting.isEmpty {
                Output.error(
                    "swiftlet-proxy does not know all \(awaiting.joined(separator: ", ")) yet and programs nothing before"
                )
            }
            let report = ProxyServices(pages)
            if report.isEmpty, output == .table || output == .wide {
                return Output.error(namespace.map { "No services found in namespace \($0)." } ?? "No services found.")
            }
            switch output {
            case .json: Output.print(try report.json())
            case .yaml: Output.print(try report.yaml())
            case .table, .wide:
                Output.print(endpoints ? report.endpointsTable() : report.table(isWide: output == .wide))
            }
        }

        /// All pages about a Service, or about all.
        private func read(_ service: String?, from socket: ProxySocket) throws -> [ServicePage] {
            let parts = service?.split(separator: "/").map(String.init) ?? []
            var query = ProxyQuery()
            query["namespace"] = parts.count == 2 ? parts[0] : namespace
            query["name"] = parts.last
            var pages: [ServicePage] = []
            repeat {
                let page = try socket.get(ServicePage.self, ProxyAPI.servicesPath, query)
                query["after"] = page.next
                pages.append(page)
            } while pages.last?.next != nil
            if let service, pages.allSatisfy(\.services.isEmpty) {
                throw Failure(status: .error, message: "no Service \(service) is known to the proxy")
            }
            return pages
        }
    }

    struct Trace: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell what would happen to a packet, rule by rule, and why.",
            discussion: """
                Follows the first packet of a new connection through the hooks, chains and rules that the proxy has \
                programmed, in their order; rules and elements read as "nft list table ip swiftlet" prints them. At \
                the end is what becomes of it, the backends that it can go to with their probabilities, and the \
                source address that each of them would see. Nothing is sent, and rules of other programs are not \
                looked at.

                EXIT STATUS
                  0 whatever becomes of the packet, 5 when no proxy answers.

                EXAMPLES
                  swiftletctl proxy trace --from pod --to 10.96.0.10:53/UDP
                  swiftletctl proxy trace --from 192.0.2.7 --to 203.0.113.5:443/TCP
                  swiftletctl proxy trace --from node --to '[fd96::10]:80/TCP' -o json
                """
        )

        @Option(
            help: ArgumentHelp(
                "Who sends it: an address, \"pod\" for any pod, \"node\" for this node.",
                valueName: "ADDR[:PORT]|pod|node"
            )
        )
        var from: String

        @Option(help: ArgumentHelp("Where to; without a protocol, TCP.", valueName: "ADDR:PORT/PROTO"))
        var to: String

        @Option(
            help: ArgumentHelp(
                "The interface that it comes in by, where that tells pods from others.",
                valueName: "name"
            )
        )
        var interface: String?

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = Format.table

        @OptionGroup var socketOption: SocketOption

        func run() throws {
            var query = ProxyQuery()
            query["from"] = from
            query["to"] = to
            query["interface"] = interface
            let trace = try ProxySocket(path: socketOption.socket).get(PacketTrace.self, ProxyAPI.tracePath, query)
            switch output {
            case .json: Output.print(try trace.json())
            case .yaml: Output.print(try trace.yaml())
            case .table, .wide: Output.print(trace.text)
            }
        }
    }
}
