import NFTables

/// Where packets for a frontend go.
enum Target: Hashable, Sendable {
    /// To the chain of the scope that looks at the source.
    case bySource
    case pick(PickChain)
    /// A number that no chain has: only in a table that someone else has changed.
    case unknown(UInt32)

    var pick: PickChain? {
        if case .pick(let chain) = self { chain } else { nil }
    }
}

/// The numbers that stand for chains in `frontends` and its like; `frontend-chains` has the chain of each. `by-source-chains`
/// has them for the chains that look at the source, which are not in it themselves: the kernel would see a loop.
///
/// Whenever a verdict to a chain comes into a map, the kernel goes through all verdicts of all maps that packets can meet,
/// to look for loops. A number is mere data to it: so there are as few verdicts as there are chains, and a frontend costs
/// the same however many others there are.
struct ChainNumbers: Sendable {
    private var numbers: [PickChain: UInt32] = [:]
    /// Goes on when chains go: a packet on its way may still have the number of one that went.
    private var next = Self.firstPick

    private static let firstPick: UInt32 = 3

    /// The fixed number of a scope's `by-source` chain.
    static func bySource(_ scope: Scope) -> UInt32 { scope == .service ? 1 : 2 }

    static func bySourceElement(_ scope: Scope) -> Element {
        element(bySource(scope), .goto(scope.prefix + "by-source"))
    }

    init() {}

    /// What was found in the kernel.
    struct Reading: Sendable {
        var numbers = ChainNumbers()
        /// What `frontend-chains` and `by-source-chains` hold.
        let found: (frontend: Set<Element>, bySource: Set<Element>)

        /// - Parameter chains: those that exist.
        init(frontend: some Sequence<Element>, bySource: some Sequence<Element>, chains: Set<PickChain>) {
            found = (Set(frontend), Set(bySource))
            for element in found.frontend.union(found.bySource) {
                guard let number = KeyReader(element.key).number() else { continue }
                numbers.next = max(numbers.next, number &+ 1)
                guard found.frontend.contains(element), number >= ChainNumbers.firstPick,
                    case .verdict(.goto(let name)) = element.value, let chain = PickChain(name: name),
                    chains.contains(chain), number < numbers.numbers[chain] ?? .max
                else { continue }
                numbers.numbers[chain] = number
            }
        }
    }

    /// What `frontend-chains` and `by-source-chains` should hold.
    var elements: (frontend: Set<Element>, bySource: Set<Element>) {
        let picks = Set(numbers.map { Self.element($0.value, .goto($0.key.name)) })
        return (picks.union(Scope.allCases.map(Self.bySourceElement)), picks)
    }

    subscript(chain: PickChain) -> UInt32? { numbers[chain] }

    func number(of target: Target, _ scope: Scope) -> UInt32? {
        switch target {
        case .bySource: Self.bySource(scope)
        case .pick(let chain): numbers[chain]
        case .unknown(let number): number
        }
    }

    /// The chain of each number.
    var chains: [UInt32: PickChain] {
        Dictionary(numbers.map { ($0.value, $0.key) }) { first, _ in first }
    }

    mutating func add(_ chain: PickChain) {
        guard numbers[chain] == nil else { return }
        numbers[chain] = next
        next = next == .max ? Self.firstPick : next + 1
    }

    mutating func remove(_ chain: PickChain) { numbers[chain] = nil }

    /// What both maps have of a chain.
    func element(of chain: PickChain) -> Element? {
        numbers[chain].map { Self.element($0, .goto(chain.name)) }
    }

    private static func element(_ number: UInt32, _ verdict: Verdict) -> Element {
        Element(Key.number(number), .verdict(verdict))
    }
}
