import KubernetesAPI

/// Something that people should read who look at the Node or a Service (2.13).
public struct ProxyEvent: Hashable, Sendable {
    public enum Subject: Hashable, Sendable {
        /// The Node that the proxy runs on.
        case node
        /// - Parameter uid: empty when it is not known.
        case service(ObjectName, uid: String)
    }

    public let subject: Subject
    /// Whether somebody has to do something about it.
    public let isWarning: Bool
    /// Why, in one word of CamelCase.
    public let reason: String
    /// What was done or tried, in one word of CamelCase.
    public let action: String
    /// For a person.
    public let note: String

    public init(about subject: Subject, isWarning: Bool = true, reason: String, action: String, note: String) {
        self.subject = subject
        self.isWarning = isWarning
        self.reason = reason
        self.action = action
        self.note = note
    }
}
