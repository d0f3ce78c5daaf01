/// A test server could not be set up, or a test asked it for something impossible.
public struct TestAPIServerError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
