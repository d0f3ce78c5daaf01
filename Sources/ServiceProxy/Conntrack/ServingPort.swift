/// A UDP service port and its endpoints that serve, whatever the policies make of them: where its flows may lead (CT-4).
public struct ServingPort: Hashable, Sendable {
    public let name: ServicePortName
    public let endpoints: [Backend]

    init(_ name: ServicePortName, _ candidates: [EndpointCandidate]) {
        self.name = name
        // What gets new flows keeps the old ones, also if somebody calls it ready and not serving.
        endpoints = candidates.filter { $0.endpoint.isServing || $0.endpoint.isReady }.map(\.backend)
    }
}
