import Logging
import NFTables
import NetworkTypes

@testable import ServiceProxy

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What both tables hold, without handles and order.
func tableHoldings(
    in kernel: any NFTablesKernel,
    _ options: NFTablesOptions = NFTablesOptions()
) throws -> [String: Set<String>] {
    var all: [String: Set<String>] = [:]
    for family in IPFamily.allCases {
        let table = ServiceTable(family: family, options: options).table
        all["\(family) chains"] = Set(try kernel.chains(of: table).map(\.name))
        for (chain, rules) in Dictionary(grouping: try kernel.rules(of: table).map(\.rule), by: \.chain) {
            all["\(family) rules of \(chain)"] = Set(rules.enumerated().map { "\($0) \($1.hashValue)" })
        }
        // The number of a chain depends on what was there before.
        let numbers = try kernel.elements(of: "frontend-chains", in: table)
        let chainNames = Dictionary(numbers.map { ($0.key, "\($0.value)") }) { first, _ in first }
        for set in try kernel.sets(of: table) {
            let skipsSlot = set.name.hasSuffix("backends")
            all["\(family) \(set.name)"] = Set(
                try kernel.elements(of: set.name, in: table).map { element in
                    var key = skipsSlot ? Array(element.key.bytes.dropLast(4)) : element.key.bytes
                    var value = "\(element.value)"
                    if set.name.hasSuffix("-chains") { key = [] }
                    if set.name.hasSuffix("frontends"), case .data(let number) = element.value {
                        value = chainNames[number] ?? value
                    }
                    if set.name.contains("affinity") {
                        // The number of a scope depends on what was there before.
                        if set.name == "affinity-endpoints" { key.removeFirst(4) }
                        if case .data(let data) = element.value { value = "\(data.bytes.dropFirst(8))" }
                    }
                    return "\(key) \(element.end?.bytes ?? []) \(value) \(element.comment ?? "")"
                }
            )
        }
    }
    return all
}
