/// How many ports of a Service, or of many, have a Local traffic policy and endpoints, but none on this node (2.11).
struct WithoutLocalEndpoints: Hashable, Sendable {
    var `internal` = 0
    var external = 0

    mutating func add(_ new: WithoutLocalEndpoints, instead old: WithoutLocalEndpoints) {
        `internal` += new.internal - old.internal
        external += new.external - old.external
    }
}

extension ServicePlan {
    var withoutLocalEndpoints: WithoutLocalEndpoints {
        var result = WithoutLocalEndpoints()
        var lastExternal: ServicePortName?
        for frontend in frontends
        where frontend.route.isLocalOnly && frontend.route.backends.isEmpty && frontend.route.whenEmpty == .drop {
            if frontend.kind == .clusterIP {
                result.internal += 1
            } else if frontend.servicePort != lastExternal {
                // A port may have many external frontends, one after the other, and counts once.
                result.external += 1
                lastExternal = frontend.servicePort
            }
        }
        return result
    }
}
