import Testing

/// Waits until something is so, and fails when that takes too long.
func eventually(
    within limit: Duration = .seconds(10),
    _ condition: () async throws -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        // Once is enough: a UDP client may get the port of an earlier one whose flow is not removed yet.
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    #expect(try await condition(), sourceLocation: sourceLocation)
}
