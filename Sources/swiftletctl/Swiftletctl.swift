import ArgumentParser
import Glibc
import Version

/// The command line of `swiftletctl`. What it prints is made by Reports.
@main
struct Swiftletctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swiftletctl",
        abstract: "Shows what Swiftlet has assigned and programmed, puts it right, and moves records between stores.",
        discussion: """
            ENVIRONMENT
              DATASTORE_TYPE     Which store: "local", "etcdv3" or "kubernetes". Default:
                                 etcdv3 when ETCD_ENDPOINTS is set, else local.
              SWIFTLET_DATA_DIR  The data directory of the local store, "data_dir" in the
                                 plugin's configuration. Default: /var/lib/swiftlet.
              ETCD_ENDPOINTS     The members of etcd, separated by commas.
              ETCD_CA_CERT_FILE, ETCD_CERT_FILE, ETCD_KEY_FILE
                                 Whom to trust, and who we are, over TLS.
              ETCD_USERNAME, ETCD_PASSWORD
                                 For an etcd with authentication.
              KUBECONFIG         How to reach the Kubernetes API. Default:
                                 ~/.kube/config, or a Pod's service account.
              K8S_API_ENDPOINT   The API server's URL, in the place of the kubeconfig's.
              CALICO_API_GROUP   In which form Calico keeps its objects in the cluster:
                                 "crd.projectcalico.org" (the default) or
                                 "projectcalico.org".
              NO_COLOR           No colours, also on a terminal.

              A settings file of calicoctl says the same: --config FILE. Without that
              option none is read.

            EXIT STATUS
              0  done
              1  an error; what is wrong is on stderr
              2  the command line is wrong
              3  ipam check found problems
              4  the address asked for is not assigned
              5  the store cannot be reached or is busy, or no swiftlet-proxy answers

            COMPLETION
              swiftletctl --generate-completion-script bash
                                 prints a script for the shell: bash, zsh or fish. For
                                 this shell alone: source <(swiftletctl
                                 --generate-completion-script bash)
            """,
        version: swiftletVersion,
        subcommands: [
            IPAMCommand.self, ProxyCommand.self, GetCommand.self, ApplyCommand.self, CreateCommand.self,
            DeleteCommand.self, DatastoreCommand.self, VersionCommand.self,
        ]
    )

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            Output.error(failure.message)
            Glibc.exit(failure.status.rawValue)
        } catch let error where exitCode(for: error).isSuccess {
            Output.print(fullMessage(for: error))  // --help
        } catch {
            Output.error(fullMessage(for: error))
            let isUsage = exitCode(for: error) == .validationFailure
            Glibc.exit((isUsage ? Failure.Status.usage : .error).rawValue)
        }
    }
}
