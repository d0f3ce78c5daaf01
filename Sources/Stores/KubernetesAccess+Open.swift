import ClusterClient
import KubernetesClient
import KubernetesStore
import Logging

extension StoreSelection.KubernetesAccess {
    func open(
        node: String?,
        environment: [String: String],
        program: String,
        logger: Logger
    ) throws(DatastoreError) -> any Datastore {
        let client = try client(environment: environment, program: program, logger: logger)
        return KubernetesDatastore(client: client, api: api, node: node)
    }

    func client(
        environment: [String: String],
        program: String,
        logger: Logger
    ) throws(DatastoreError) -> KubernetesClient {
        var configuration: KubernetesConfiguration
        do throws(ConfigurationError) {
            configuration = try KubernetesConfiguration.load(
                kubeconfig: kubeconfig,
                master: apiRoot,
                context: context,
                environment: environment
            )
        } catch {
            throw DatastoreError(.failed, error.description)
        }
        credentials.apply(to: &configuration)
        do throws(KubernetesError) {
            return try KubernetesClient(configuration, userAgent: program, rateLimit: nil, logger: logger)
        } catch {
            throw DatastoreError(.failed, error.message)
        }
    }
}
