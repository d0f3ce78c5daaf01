import Foundation
import Glibc
import NetworkTypes

/// Endpoints of a Service that come and go: those that do not serve the Service refuse, but only a while after they
/// have gone, as pods do.
final class EndpointPool {
    /// A pod by its number, and a port.
    struct Place: Hashable, Comparable {
        let pod: Int
        let port: UInt16

        static func < (left: Place, right: Place) -> Bool { (left.pod, left.port) < (right.pod, right.port) }
    }

    private let node: TestNode
    private let places: [Place]
    private var running: [Place: [EchoEndpoint]] = [:]
    private var closing: [(place: Place, at: ContinuousClock.Instant)] = []
    /// Who serves the Service now, in order.
    private(set) var serving: [Place] = []

    /// How long an endpoint accepts connections that were on their way when it went.
    private static let grace = Duration.milliseconds(250)

    init(on node: TestNode, ports: ClosedRange<UInt16>) throws {
        self.node = node
        places = ports.flatMap { port in (1...3).map { Place(pod: $0, port: port) } }
        try choose(Set(places))
        settle()
    }

    deinit {
        for endpoint in running.values.joined() { endpoint.close() }
    }

    /// Makes other endpoints serve; those that come are ready when this returns. ``settle()`` is to follow, once nobody
    /// is sent to those that went.
    func choose(_ wanted: Set<Place>) throws {
        closeTheGone()
        for place in wanted where running[place] == nil {
            running[place] = try node.pods[place.pod - 1].addresses.values.map { address in
                try EchoEndpoint(in: node.pods[place.pod - 1].namespace, address, place.port)
            }
        }
        closing.removeAll { wanted.contains($0.place) }
        serving = wanted.sorted()
    }

    /// A few come or go, most of the time; or all but one.
    func chooseAtRandom() throws {
        var wanted = Set(serving)
        switch Int.random(in: 0..<10) {
        case 0: wanted = [places.randomElement()!]
        case 1: wanted = Set(places)
        default:
            for place in places.shuffled().prefix(.random(in: 1...4)) {
                wanted.formSymmetricDifference([place])
            }
            if wanted.isEmpty { wanted = [places.randomElement()!] }
        }
        try choose(wanted)
    }

    /// From now on nobody is sent to those that went.
    func settle() {
        let known = Set(closing.map(\.place))
        let end = ContinuousClock.now + Self.grace
        for place in running.keys where !serving.contains(place) && !known.contains(place) {
            closing.append((place, end))
        }
        closeTheGone()
    }

    private func closeTheGone() {
        let now = ContinuousClock.now
        for (place, _) in closing.filter({ $0.at <= now }) {
            for endpoint in running.removeValue(forKey: place) ?? [] { endpoint.close() }
        }
        closing.removeAll { $0.at <= now }
    }

    /// The addresses that serve in a family.
    func addresses(_ family: IPFamily) -> [(address: IPAddress, port: UInt16)] {
        serving.map { (node.pods[$0.pod - 1].addresses[family]!, $0.port) }
    }
}
