/// A program that prints credentials (client.authentication.k8s.io, `user.exec` of a kubeconfig).
public struct ExecPlugin: Hashable, Sendable {
    /// A path, or a name that is looked up in PATH.
    public var command: String
    public var arguments: [String]
    /// Added to our own environment.
    public var environment: [EnvironmentVariable]
    /// `client.authentication.k8s.io/v1` or `…/v1beta1`.
    public var apiVersion: String
    /// What to tell a person when the program is not there.
    public var installHint: String?
    /// Whether the program is told of the cluster (KUBERNETES_EXEC_INFO).
    public var providesClusterInfo: Bool
    /// The extension `client.authentication.k8s.io/exec` of the cluster, as JSON text.
    public var clusterConfiguration: String?

    public struct EnvironmentVariable: Hashable, Sendable {
        public var name: String
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(
        command: String,
        arguments: [String] = [],
        environment: [EnvironmentVariable] = [],
        apiVersion: String = "client.authentication.k8s.io/v1",
        installHint: String? = nil,
        providesClusterInfo: Bool = false,
        clusterConfiguration: String? = nil
    ) {
        self.command = command
        self.arguments = arguments
        self.environment = environment
        self.apiVersion = apiVersion
        self.installHint = installHint
        self.providesClusterInfo = providesClusterInfo
        self.clusterConfiguration = clusterConfiguration
    }
}

extension ExecPlugin: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without arguments and environment: people put secrets there.
    public var description: String { command }

    public var debugDescription: String { command }

    public var customMirror: Mirror { Mirror(self, children: ["command": command]) }
}
