import Logging

/// What an operator says about userspace mode by flags.
struct UserspaceSettings: Hashable, Sendable {
    let portMap: UserspaceOptions.PortMap
    let algorithm: BalancingWish.Algorithm
    let drainTimeout: Duration?

    /// - Parameter problems: gets what makes no sense, one line each.
    init(_ values: ProxyCommandLine.Values, _ problems: inout [String]) {
        portMap = UserspaceOptions.PortMap(
            addresses: values.userspaceListen ?? "",
            ports: values.userspacePorts ?? "",
            &problems
        )
        algorithm = values.userspaceAlgorithm
        drainTimeout = values.userspaceDrainTimeout
    }

    func options(_ surroundings: Surroundings, logger: Logger) -> UserspaceOptions {
        var options = UserspaceOptions(surroundings: surroundings, logger: logger)
        options.portMap = portMap
        options.algorithm = algorithm
        options.loadBalancer.drainTimeout = drainTimeout
        return options
    }
}
