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
        let configuration: KubernetesConfiguration
        do throws(ConfigurationError) {
            configuration = try KubernetesConfiguration.load(
                kubeconfig: kubeconfig,
                master: apiRoot,
                environment: environment
            )
        } catch {
            throw DatastoreError(.failed, error.description)
        }
        do throws(KubernetesError) {
            let client = try KubernetesClient(configuration, userAgent: program, rateLimit: nil, logger: logger)
            return KubernetesDatastore(client: client, api: api, node: node)
        } catch {
            throw DatastoreError(.failed, error.message)
        }
    }
}
