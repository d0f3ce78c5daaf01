/// Something that holds tables: the kernel, or the one in memory that stands in for it in tests.
///
/// Calls block for as long as the kernel takes. Everything is safe to call from several threads.
public protocol NFTablesKernel: Sendable {
    /// Carries out all changes or none.
    ///
    /// - Parameter generation: if given, the ruleset must still be of this generation.
    /// - Throws: ``NFTablesError``
    func commit(_ transaction: Transaction, ifGeneration generation: UInt32?) throws

    /// Carries out all changes up to the point where they would count, and takes them back: as `nft --check` does.
    ///
    /// - Throws: what ``commit(_:ifGeneration:)`` would throw.
    func check(_ transaction: Transaction) throws

    /// A number that every commit of anyone in this network namespace raises by one.
    func generation() throws -> UInt32

    /// How many transactions were committed through this object: so many generations are its own.
    var commitCount: UInt32 { get }

    func tables(_ family: Family) throws -> [Table]
    func chains(of table: Table) throws -> [Chain]
    /// In the order of their chains.
    func rules(of table: Table) throws -> [ListedRule]
    func sets(of table: Table) throws -> [SetLayout]
    /// Calls `body` with each element; ranges of one field come as two (see ``NamedSet/kernelElements(of:)``). Empty
    /// when there is no such set. May start over, so `restart` is called before the first element of each attempt.
    func elements(
        of set: String,
        in table: Table,
        restart: () -> Void,
        _ body: (Element) -> Void
    ) throws

    /// Calls `body` with the elements that have these keys: of each run of keys, those before the first one that is
    /// missing.
    ///
    /// For large sets, of which a listing takes quadratic time: the kernel lists in pieces of at most 32 KiB, and goes
    /// through the set from its beginning for each. A run should have few hundred keys at most.
    func find(_ runs: [[Concatenation]], in set: NamedSet, of table: Table, _ body: (Element) -> Void) throws
}

extension NFTablesKernel {
    /// The element with a key; `nil` when there is none, or no such set. Costs the same however large the set is.
    public func element(_ key: Concatenation, of set: NamedSet, in table: Table) throws -> Element? {
        var found: Element?
        try find([[key]], in: set, of: table) { found = $0 }
        return found
    }

    public func commit(_ transaction: Transaction) throws {
        try commit(transaction, ifGeneration: nil)
    }

    public func table(_ table: Table) throws -> Table? {
        try tables(table.family).first { $0.isSameTable(as: table) }
    }

    public func elements(of set: String, in table: Table) throws -> [Element] {
        var all: [Element] = []
        try elements(of: set, in: table, restart: { all = [] }, { all.append($0) })
        return all
    }

    /// Runs `body`, which reads several things, until nothing was committed meanwhile.
    ///
    /// - Throws: ``NFTablesError/unsteady`` after `attempts`, and what `body` throws.
    public func consistently<Result>(attempts: Int = 10, _ body: () throws -> Result) throws -> Result {
        for _ in 0..<attempts {
            let before = try generation()
            let result = try body()
            if try generation() == before { return result }
        }
        throw NFTablesError.unsteady
    }
}
