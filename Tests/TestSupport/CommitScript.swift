import ClusterClient
import FoundationEssentials
import NetworkTypes

/// A run of commits of which anyone can tell afterwards how far it got, and whether one was torn.
///
/// Commit n creates the handle `n`, writes n to two other records, and from the third on deletes the handle n - 2.
public struct CommitScript: Sendable {
    let store: any Datastore

    public init(store: any Datastore) {
        self.store = store
    }

    private static let left = RecordKey.ipamConfiguration
    private static let right = RecordKey.resource(.ipPools, name: "right")
    private static func handle(_ number: Int) -> RecordKey { .handle("h\(number)") }

    /// Continues behind what is there, up to commit `count`, and tells of each commit that is done.
    public func run(_ count: Int, _ done: (Int) -> Void) async throws {
        var number = try await check().1
        while number < count {
            number += 1
            var changes: [RecordChange] = [.create(Self.handle(number), Self.value(number))]
            for key in [Self.left, Self.right] {
                let value = Self.value(number)
                changes.append(
                    try await store.get(key).map { .update(key, value, $0.revision) } ?? .create(key, value)
                )
            }
            if number > 2, let record = try await store.get(Self.handle(number - 2)) {
                changes.append(.delete(record.key, record.revision))
            }
            _ = try await store.commit(changes)
            done(number)
        }
    }

    /// What is wrong with the store, and how many commits it has.
    public func check() async throws -> (problems: [String], commits: Int) {
        let answers = try await store.read([.record(Self.left), .record(Self.right), .collection(.handles)])
        let (left, right) = (answers[0].first?.value, answers[1].first?.value)
        guard left == right else { return (["\(left as Any) beside \(right as Any)"], 0) }
        let number = left.flatMap { Int(String(decoding: $0.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)) } ?? 0
        let expected = [number - 1, number].filter { $0 > 0 }
        var problems: [String] = []
        if left != (number > 0 ? Self.value(number) : nil) {
            problems.append("the content of commit \(number) is wrong")
        }
        if Set(answers[2].map(\.key)) != Set(expected.map(Self.handle)) {
            problems.append("after commit \(number) there are \(answers[2].map(\.key.description))")
        }
        return (problems, number)
    }

    /// The number, with text that makes entries of several pages now and then.
    private static func value(_ number: Int) -> Data {
        Data(("\(number) " + String(repeating: "x", count: number % 4 * 2500)).utf8)
    }
}
