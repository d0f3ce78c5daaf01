import Glibc

/// What a transaction does to an object.
public enum ObjectChange: String, Hashable, Sendable {
    case add
    case delete
    case flush
}

/// Which object of a transaction's table is meant.
public enum ObjectName: Hashable, Sendable {
    case table
    case chain(String)
    case rule(chain: String, comment: String?)
    case set(String)
    /// Without a key when the kernel did not say which element of a message it refused.
    case element(of: NamedSet, key: Concatenation?)
}

extension ObjectName: CustomStringConvertible {
    /// As a person would name it: `element 10.96.0.10 . tcp . 80 of map frontends`.
    public var description: String {
        switch self {
        case .table: return "table"
        case .chain(let name): return "chain \(name)"
        case .rule(let chain, let comment): return "rule \(comment.map { "\"\($0)\" " } ?? "")of chain \(chain)"
        case .set(let name): return "set \(name)"
        case .element(let set, let key):
            let kind = set.content == .none ? "set" : "map"
            return "element \(key.map { "\($0.text(as: set.key)) " } ?? "")of \(kind) \(set.name)"
        }
    }
}

/// One thing in a transaction that the kernel would not do. Nothing of the transaction took effect.
public struct Refusal: Hashable, Sendable {
    public let change: ObjectChange
    public let object: ObjectName
    public let table: Table
    /// An error number, as EEXIST.
    public let code: CInt

    /// Whether the whole batch failed rather than one object.
    public var isTransient: Bool { [EAGAIN, EINTR, ENOMEM, ENOBUFS].contains(code) }
}

extension Refusal: CustomStringConvertible {
    public var description: String {
        let place = object == .table ? "table \(table)" : "\(object) in table \(table)"
        return "\(change.rawValue) \(place): \(String(cString: strerror(code)))"
    }
}

/// Why something asked of nf_tables did not happen.
public enum NFTablesError: Error, Hashable, Sendable {
    /// The kernel refused objects of a transaction, in their order. There is always at least one.
    case refused([Refusal])
    /// The ruleset is not of the generation that the transaction was meant for.
    case generationChanged
    /// The kernel's answer was lost; the transaction may have taken effect.
    case answerLost
    /// A system call failed; `code` is an error number.
    case system(call: String, code: CInt)
    /// A listing was refused.
    case listing(String, code: CInt)
    /// Others change the ruleset faster than it can be read.
    case unsteady
}

extension NFTablesError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(let refusals):
            let more = refusals.count > 1 ? " (and \(refusals.count - 1) more)" : ""
            return "nf_tables: \(refusals.first.map(String.init(describing:)) ?? "refused")\(more)"
        case .generationChanged: return "nf_tables: the ruleset was changed by someone else"
        case .answerLost: return "nf_tables: the kernel's answer was lost"
        case .system(let call, let code): return "nf_tables: \(call): \(String(cString: strerror(code)))"
        case .listing(let what, let code): return "nf_tables: list \(what): \(String(cString: strerror(code)))"
        case .unsteady: return "nf_tables: the ruleset keeps changing while it is read"
        }
    }
}
