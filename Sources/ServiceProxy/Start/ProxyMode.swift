import Logging
import NetworkTypes

/// How the node is programmed (`mode`, `--proxy-mode`).
public enum ProxyMode: String, Hashable, Sendable, CaseIterable {
    case nftables, iptables, userspace

    /// Whether the kernel translates packets, and tracks their connections.
    public var writesRules: Bool { self != .userspace }
}

/// Which mode it is to be, and why. Pure.
public struct ModeChoice: Hashable, Sendable {
    public let mode: ProxyMode
    /// In words for the log.
    public let reason: String

    /// No mode will do.
    public struct Failure: Error, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// From the best to the last resort.
    static let order: [ProxyMode] = [.nftables, .iptables, .userspace]

    /// - Parameters:
    ///   - wanted: what the operator says; `nil` for the best that is possible.
    ///   - problems: why a mode is not possible, for those that were tried and are not.
    public init(_ wanted: ProxyMode?, problems: [ProxyMode: String]) throws(Failure) {
        if let wanted {
            if let problem = problems[wanted] {
                throw Failure(description: "--proxy-mode \(wanted.rawValue) is not possible here: \(problem)")
            }
            (mode, reason) = (wanted, "it was asked for")
            return
        }
        let refused = Self.order.prefix { problems[$0] != nil }
        let reasons = refused.compactMap { mode in problems[mode].map { "not \(mode.rawValue): \($0)" } }
        guard refused.count < Self.order.count else {
            throw Failure(description: "no --proxy-mode is possible here: \(reasons.joined(separator: "; "))")
        }
        mode = Self.order[refused.count]
        reason = reasons.isEmpty ? "it is the best, and possible here" : reasons.joined(separator: "; ")
    }
}

/// A mode that this node can do, with what it needs.
public struct AvailableMode: Sendable {
    public let choice: ModeChoice
    /// For iptables mode.
    public let tools: IPTablesTools?

    public var mode: ProxyMode { choice.mode }

    /// Tries modes out on the kernel and in the network namespace of this process, and changes no rule.
    ///
    /// - Parameter wanted: the only one to try; `nil` for the best that works.
    public static func find(_ wanted: ProxyMode?, logger: Logger) async throws -> AvailableMode {
        var problems: [ProxyMode: String] = [:]
        var found: (tools: IPTablesTools, reason: String)?
        for mode in wanted.map({ [$0] }) ?? ModeChoice.order {
            if mode != .userspace, !LocalNode.mayAdministerNetwork {
                problems[mode] = "swiftlet-proxy must be root (or have CAP_NET_ADMIN) to program rules"
                continue
            }
            switch mode {
            case .nftables:
                do {
                    try StartCheck.run(logger: logger)
                } catch let error as StartCheck.Failure where wanted != nil {
                    throw error
                } catch {
                    problems[mode] = "\(error)"
                }
            case .iptables:
                do {
                    found = try await IPTablesTools.find(families: LocalNode.families)
                } catch {
                    problems[mode] = "\(error)"
                }
            // Without any right it serves at least what it can listen on.
            case .userspace: break
            }
            if problems[mode] == nil { break }
        }
        let choice = try ModeChoice(wanted, problems: problems)
        logger.info(
            "the mode is chosen",
            metadata: ["mode": "\(choice.mode.rawValue)", "because": "\(choice.reason)"]
        )
        if choice.mode == .iptables, let found {
            logger.info(
                "the tools are chosen",
                metadata: ["tools": "\(found.tools.flavour)", "because": "\(found.reason)"]
            )
        }
        return AvailableMode(choice: choice, tools: found?.tools)
    }
}
