import CNI
import NetworkTypes

extension WorkloadEndpoint {
    /// The endpoint with what annotations say to the agent (1.3). Throws code 7 for a floating address of a family of
    /// which the pod has no address.
    func adding(_ annotations: PodAnnotations) throws(CNIError) -> WorkloadEndpoint {
        var endpoint = self
        endpoint.allowedSources = annotations.allowedSources
        for external in annotations.floatingAddresses {
            guard let own = addresses.first(where: { $0.family == external.family }) else {
                throw CNIError(
                    .invalidConfiguration,
                    "the annotation \(Annotation.floatingAddresses) has \(external), and the pod no \(external.family) address"
                )
            }
            endpoint.translations.append(Translation(external: external, own: own))
        }
        return endpoint
    }
}

extension PodAnnotations {
    /// Throws code 7 for floating addresses where the configuration does not allow them.
    func checkFloatingAddresses(_ configuration: ObjectReader) throws(CNIError) {
        guard !floatingAddresses.isEmpty,
            try configuration.object("feature_control")?.bool("floating_ips") ?? false == false
        else { return }
        throw CNIError(
            .invalidConfiguration,
            "the Pod has the annotation \(Annotation.floatingAddresses), which is not allowed here",
            details: "\"feature_control.floating_ips\" in the network configuration allows it"
        )
    }
}
