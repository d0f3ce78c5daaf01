/// Who makes a request.
public struct User: Hashable, Sendable {
    public var name: String
    public var groups: [String]

    public init(_ name: String, groups: [String] = []) {
        self.name = name
        self.groups = groups
    }

    /// May do everything.
    public static let administrator = User("admin", groups: ["system:masters"])
    /// Nobody has said who it is; may read versions and health alone.
    public static let anonymous = User("system:anonymous", groups: ["system:unauthenticated"])
}

/// What a user, or all users of a group, may do.
public struct AccessRule: Hashable, Sendable {
    /// The name of a user or a group.
    public var subject: String
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`; `*` for all.
    public var verbs: Set<String>
    /// `services`, `pods/status`, `endpointslices.discovery.k8s.io`; `*` for all.
    public var resources: Set<String>

    public init(_ subject: String, verbs: Set<String> = ["*"], resources: Set<String> = ["*"]) {
        self.subject = subject
        self.verbs = verbs
        self.resources = resources
    }

    func allows(_ user: User, _ verb: String, _ resource: String) -> Bool {
        (subject == user.name || user.groups.contains(subject))
            && (verbs.contains("*") || verbs.contains(verb))
            && (resources.contains("*") || resources.contains(resource))
    }
}
