import NetworkTypes
import ProxyAPI

// `proxy trace`: what would happen to a packet.

extension PacketTrace {
    /// Numbered steps, then the end with the backends, then the notes.
    public var text: String {
        var text = "\(packet.text), the first packet of a connection\n\n"
        var number = 0
        func add(_ steps: [Step]) {
            for step in steps {
                number += 1
                text += step.text(number)
            }
        }
        add(steps)
        for way in ways where !way.steps.isEmpty {
            if ways.count > 1 { text += "\n  towards \(way.targets):\n" }
            add(way.steps)
        }
        text += "\n\(verdict.rawValue): \(why)\n"
        if !ways.isEmpty {
            var table = PlainTable(["BACKEND", "SHARE", "NODE", "SOURCE IT SEES"])
            let choices = ways.flatMap(\.choices).sorted {
                ($0.backend.address, $0.backend.port) < ($1.backend.address, $1.backend.port)
            }
            for choice in choices {
                table.add([
                    hostPort(choice.backend.address, choice.backend.port), share(choice.probability),
                    choice.backend.isLocal ? "this" : "other", choice.sourceText,
                ])
            }
            text += "\n" + table.text(margin: "  ")
        }
        if !notes.isEmpty { text += "\n" + notes.map { "Note: \($0)\n" }.joined() }
        return text
    }

    public func json() throws -> String { try jsonText(self) }

    public func yaml() throws -> String { try yamlText(self) }
}

extension PacketTrace.Packet {
    fileprivate var text: String {
        let from = sourcePort == 0 ? "\(source)" : hostPort(source, sourcePort)
        let who =
            switch origin {
            case .node: "this node"
            case .pod: "a pod"
            case .elsewhere: "elsewhere"
            }
        let way = interface.map { ", in by \($0)" } ?? ""
        return "\(self.protocol) from \(from) (\(who)\(way)) to \(hostPort(destination, destinationPort))"
    }
}

extension PacketTrace.Step {
    fileprivate func text(_ number: Int) -> String {
        let head = (number < 10 ? " " : "") + "\(number). "
        let margin = String(repeating: " ", count: head.count)
        var text = "\(head)\(hook) \(chain): \(rule)\n"
        if let element { text += "\(margin)  \(element)\n" }
        text += "\(margin)-> \(result)\(why.isEmpty ? "" : ": \(why)")\n"
        return text
    }
}

extension PacketTrace.Way {
    fileprivate var targets: String {
        let shown = choices.prefix(3).map { hostPort($0.backend.address, $0.backend.port) }
        let rest = choices.count - shown.count
        return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}

extension PacketTrace.Choice {
    fileprivate var sourceText: String {
        guard isMasqueraded else { return seenSource.map { "\($0) (kept)" } ?? "the client's" }
        return seenSource.map { "\($0) (masqueraded)" } ?? "this node's (masqueraded)"
    }
}
