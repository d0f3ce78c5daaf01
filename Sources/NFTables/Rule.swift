/// A rule of a chain: expressions that run in order until one ends the rule.
public struct Rule: Hashable, Sendable {
    public let chain: String
    public let expressions: [Expression]
    public let comment: String?

    public init(chain: String, _ expressions: [Expression], comment: String? = nil) {
        self.chain = chain
        self.expressions = expressions
        self.comment = comment
    }
}

/// A rule as the kernel holds it, with the handle to delete it by.
public struct ListedRule: Hashable, Sendable {
    public let handle: UInt64
    public let rule: Rule
}
