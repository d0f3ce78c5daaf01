import Foundation
import NetworkTypes
import Testing

@testable import KubernetesAPI

@Suite struct DecodingTests {
    private func decode<Object: Decodable>(_ json: String) throws -> Object {
        try decode(Object.self, json)
    }

    private func decode<Object: Decodable>(_ type: Object.Type, _ json: String) throws -> Object {
        let decoder = JSONDecoder()
        decoder.userInfo[StringPool.key!] = StringPool()
        return try decoder.decode(Object.self, from: Data(json.utf8))
    }

    @Test func serviceOfAnAPIServer() throws {
        let service: Service = try decode(
            #"""
            {"metadata":{"name":"front","namespace":"shop","uid":"c1e1e510-dc9d-4fac-8f26-d77c25681b0b",
              "resourceVersion":"316","creationTimestamp":"2026-11-21T03:18:56Z",
              "labels":{"app":"front","service.kubernetes.io/service-proxy-name":"other"},
              "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{}}}]},
             "spec":{"ports":[{"name":"dns","protocol":"UDP","port":53,"targetPort":"named","nodePort":30053},
                              {"name":"http","port":80,"targetPort":8080,"appProtocol":"http"}],
              "selector":{"app":"front"},"clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10","fd00::a"],
              "type":"LoadBalancer","externalIPs":["192.0.2.1"],"sessionAffinity":"ClientIP",
              "sessionAffinityConfig":{"clientIP":{"timeoutSeconds":600}},"ipFamilies":["IPv4","IPv6"],
              "loadBalancerSourceRanges":["10.0.0.0/8"," 192.168.0.0/16 "],"externalTrafficPolicy":"Local",
              "internalTrafficPolicy":"Cluster","healthCheckNodePort":31000},
             "status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.1","ipMode":"VIP"},{"hostname":"lb.example"},
              {"ip":"203.0.113.2","ipMode":"Proxy"},{"ip":"203.0.113.3"}]}}}
            """#
        )
        #expect(service.metadata.objectName == ObjectName(namespace: "shop", name: "front"))
        #expect(service.metadata.resourceVersion == "316")
        #expect(service.metadata.creationTimestamp?.description == "2026-11-21T03:18:56Z")
        #expect(service.metadata.labels == [LabelKey.serviceProxyName: "other"])
        #expect(service.type == .loadBalancer)
        #expect(service.clusterIPs.map(\.description) == ["10.96.0.10", "fd00::a"])
        #expect(
            service.ports == [
                .init(name: "dns", transport: .udp, port: 53, nodePort: 30053), .init(name: "http", port: 80),
            ]
        )
        #expect(service.externalIPs.map(\.description) == ["192.0.2.1"])
        #expect(service.ingress.map(\.address.description) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"])
        #expect(service.ingress.map(\.isVIP) == [true, false, true])
        #expect(service.loadBalancerSourceRanges == ["10.0.0.0/8", " 192.168.0.0/16 "])
        #expect(service.externalTrafficPolicy == .local)
        #expect(service.internalTrafficPolicy == .cluster)
        #expect(service.affinityTimeout == 600)
        #expect(service.healthCheckNodePort == 31000)
    }

    @Test func absentFieldsGetTheDefaultsOfTheAPI() throws {
        let service: Service = try decode(
            #"{"metadata":{"name":"a"},"spec":{"clusterIP":"010.096.0.1","sessionAffinity":"ClientIP","ports":[{"port":1}]}}"#
        )
        #expect(
            service
                == Service(
                    metadata: ObjectMeta(name: "a"),
                    clusterIPs: [IPAddress("10.96.0.1")!],
                    ports: [.init(name: "", transport: .tcp, port: 1, nodePort: 0)],
                    affinityTimeout: 10800
                )
        )
    }

    @Test(arguments: [#""None""#, #""""#, "null"])
    func headless(_ clusterIP: String) throws {
        let service: Service = try decode(#"{"metadata":{"name":"a"},"spec":{"clusterIP":\#(clusterIP)}}"#)
        #expect(service.clusterIPs == [])
        #expect(
            try decode(
                Service.self,
                #"{"metadata":{"name":"a"},"spec":{"clusterIP":"None","clusterIPs":["None"]}}"#
            ).clusterIPs == []
        )
    }

    @Test func sliceOfAnAPIServer() throws {
        let slice: EndpointSlice = try decode(
            #"""
            {"metadata":{"name":"front-x1","generateName":"front-","namespace":"shop",
              "labels":{"endpointslice.kubernetes.io/managed-by":"c","kubernetes.io/service-name":"front"}},
             "addressType":"IPv4",
             "endpoints":[
              {"addresses":["10.244.1.2","10.244.1.3"],"nodeName":"n1","zone":"z2","targetRef":{"kind":"Pod"}},
              {"addresses":["10.244.1.4"],"conditions":{"ready":false,"serving":true,"terminating":true},
               "hints":{"forZones":[{"name":"z1"}],"forNodes":[{"name":"a-node-with-a-long-name"}]}},
              {"addresses":[]},
              {"addresses":["10.244.1.5"],"conditions":{"ready":null},"nodeName":null}],
             "ports":[{"name":"dns","protocol":"UDP","port":53},{"name":"","port":null}]}
            """#
        )
        #expect(slice.serviceName == ObjectName(namespace: "shop", name: "front"))
        #expect(slice.family == .ipv4)
        #expect(
            slice.endpoints == [
                Endpoint(address: IPAddress("10.244.1.2")!, nodeName: "n1"),
                Endpoint(
                    address: IPAddress("10.244.1.4")!,
                    isReady: false,
                    isServing: true,
                    isTerminating: true,
                    zoneHints: ["z1"],
                    nodeHints: ["a-node-with-a-long-name"]
                ),
                Endpoint(address: IPAddress("10.244.1.5")!),
            ]
        )
        #expect(slice.ports == [.init(name: "dns", transport: .udp, port: 53), .init(port: 0)])
    }

    @Test func hostNamesAreNoEndpoints() throws {
        let slice: EndpointSlice = try decode(
            #"{"metadata":{"name":"a"},"addressType":"FQDN","endpoints":[{"addresses":["a.example"]}],"ports":[]}"#
        )
        #expect(slice.endpoints == [] && slice.family == nil)
    }

    @Test func endpointsAndNode() throws {
        let endpoints: Endpoints = try decode(
            #"""
            {"metadata":{"name":"front","namespace":"shop"},"subsets":[{"addresses":[{"ip":"10.244.1.2","nodeName":"n1",
             "targetRef":{"kind":"Pod"}}],"notReadyAddresses":[{"ip":"fd00::2"}],"ports":[{"port":8080}]}]}
            """#
        )
        #expect(
            endpoints.subsets == [
                .init(
                    endpoints: [
                        Endpoint(address: IPAddress("10.244.1.2")!, nodeName: "n1"),
                        Endpoint(address: IPAddress("fd00::2")!, isReady: false, isServing: false),
                    ],
                    ports: [.init(port: 8080)]
                )
            ]
        )
        let node: Node = try decode(
            #"""
            {"metadata":{"name":"n1","labels":{"topology.kubernetes.io/zone":"z1","x":"y"}},
             "spec":{"podCIDR":"10.244.0.0/24","podCIDRs":["10.244.0.0/24","fd00:10::1/64"],"taints":[{"key":"a","effect":"NoExecute"}]},
             "status":{"addresses":[{"type":"ExternalIP","address":"198.51.100.1"},{"type":"InternalIP","address":"172.16.0.1"},
             {"type":"InternalIP","address":"fd00::1"},{"type":"Hostname","address":"n1"}]}}
            """#
        )
        #expect(node.zone == "z1")
        #expect(node.metadata.labels["x"] == "y")
        #expect(node.address(in: .ipv4)?.description == "172.16.0.1")
        #expect(node.address(in: .ipv6)?.description == "fd00::1")
        #expect(node.podCIDRs.map(\.description) == ["10.244.0.0/24", "fd00:10::/64"])
        #expect(node.taintKeys == ["a"] && !node.isLeaving)
    }

    @Test(arguments: [
        #"{"metadata":{"name":"n1","deletionTimestamp":"2026-11-21T03:18:56Z"}}"#,
        #"{"metadata":{"name":"n1"},"spec":{"taints":[{"key":"ToBeDeletedByClusterAutoscaler","value":"1","effect":"NoSchedule"}]}}"#,
    ])
    func aNodeThatIsLeaving(_ json: String) throws {
        #expect(try decode(Node.self, json).isLeaving)
    }

    @Test func serviceCIDR() throws {
        let serviceCIDR: ServiceCIDR = try decode(
            #"{"metadata":{"name":"kubernetes"},"spec":{"cidrs":["10.96.0.0/16","fd00:10:96::/112"]},"status":{}}"#
        )
        #expect(serviceCIDR.cidrs.map(\.description) == ["10.96.0.0/16", "fd00:10:96::/112"])
        let error = #expect(throws: DecodingError.self) {
            try decode(ServiceCIDR.self, #"{"metadata":{"name":"a"},"spec":{"cidrs":["10.96.0.0/33"]}}"#)
        }
        #expect(
            error.map { FieldError($0).description }
                == #"spec.cidrs[0]: "10.96.0.0/33" is not a CIDR like 10.96.0.0/16"#
        )
    }

    @Test func aPageOfAList() throws {
        let list: ObjectList<Service> = try decode(
            #"""
            {"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"450","continue":"abc","remainingItemCount":3},
             "items":[{"metadata":{"name":"a","namespace":"b"},"spec":{"clusterIP":"10.0.0.1","ports":[{"port":80}]}}]}
            """#
        )
        #expect(list.resourceVersion == "450" && list.continueToken == "abc" && list.items.count == 1)
        #expect(try decode(ObjectList<Service>.self, #"{"items":null}"#).items.isEmpty)
    }

    @Test(arguments: [
        (#"{"spec":{}}"#, "metadata: is missing"),
        (
            #"{"metadata":{"name":"a"},"spec":{"ports":[{"port":"80"}]}}"#,
            "spec.ports[0].port: expected a whole number, found a string"
        ),
        (
            #"{"metadata":{"name":"a"},"spec":{"ports":[{"port":80,"protocol":"tcp"}]}}"#,
            #"spec.ports[0].protocol: "tcp" is not a protocol: expected TCP, UDP or SCTP"#
        ),
        (#"{"metadata":{"name":"a"},"spec":{"ports":{}}}"#, "spec.ports: expected a list, found an object"),
        (
            #"{"metadata":{"name":"a"},"spec":{"type":"Klaus"}}"#,
            #"spec.type: "Klaus" is not one of ClusterIP, NodePort, LoadBalancer, ExternalName"#
        ),
        (
            #"{"metadata":{"name":"a"},"spec":{"clusterIPs":["10.0.0.1","10.0.0.2"]}}"#,
            "spec.clusterIPs: more than one IPv4 address"
        ),
        (
            #"{"metadata":{"name":"a"},"spec":{"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":0}}}}"#,
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not a number of seconds from 1 to 86400"
        ),
        (
            #"{"metadata":{"name":"a"},"spec":{},"status":{"loadBalancer":{"ingress":[{"ip":"x"}]}}}"#,
            #"status.loadBalancer.ingress[0].ip: "x" is not an IP address"#
        ),
        (
            #"{"metadata":{"name":"a","creationTimestamp":"yesterday"},"spec":{}}"#,
            #"metadata.creationTimestamp: "yesterday" is not an RFC 3339 time"#
        ),
        (#"{"metadata":{"name":["a"]},"spec":{}}"#, "metadata.name: expected a string, found a list"),
    ])
    func errorsNameTheField(_ json: String, _ description: String) {
        let error = #expect(throws: DecodingError.self) { try decode(Service.self, json) }
        #expect(error.map { FieldError($0).description } == description)
    }

    @Test func anAddressOfTheOtherFamilyIsAnError() {
        let error = #expect(throws: DecodingError.self) {
            try decode(
                EndpointSlice.self,
                #"{"metadata":{"name":"a"},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]},{"addresses":["fd00::1"]}]}"#
            )
        }
        #expect(
            error.map { FieldError($0).description }
                == "endpoints[1].addresses[0]: fd00::1 is not an IPv4 address, as addressType promises"
        )
    }

    @Test func objectsSurviveARoundTrip() throws {
        let meta = ObjectMeta(
            name: "a",
            namespace: "b",
            uid: "u",
            resourceVersion: "7",
            creationTimestamp: Timestamp(seconds: 1),
            labels: [LabelKey.serviceName: "c"]
        )
        let service = Service(
            metadata: meta,
            type: .loadBalancer,
            clusterIPs: [IPAddress("fd00::1")!, IPAddress("10.0.0.1")!],
            ports: [.init(name: "x", transport: .sctp, port: 1, nodePort: 2)],
            externalIPs: [IPAddress("192.0.2.1")!],
            ingress: [.init(address: IPAddress("192.0.2.2")!, isVIP: false)],
            loadBalancerSourceRanges: ["10.0.0.0/8"],
            externalTrafficPolicy: .local,
            internalTrafficPolicy: .local,
            affinityTimeout: 5,
            healthCheckNodePort: 9
        )
        let endpoint = Endpoint(
            address: IPAddress("10.0.0.1")!,
            isReady: false,
            isServing: true,
            isTerminating: true,
            nodeName: "n",
            zoneHints: ["z"],
            nodeHints: ["n"]
        )
        let slice = EndpointSlice(metadata: meta, addressType: .ipv4, ports: [.init(port: 1)], endpoints: [endpoint])
        let endpoints = Endpoints(
            metadata: meta,
            subsets: [.init(endpoints: [Endpoint(address: IPAddress("::1")!)], ports: [.init(name: "q", port: 3)])]
        )
        var node = Node(metadata: meta, internalIPs: [IPAddress("::1")!], externalIPs: [IPAddress("10.1.1.1")!])
        node.metadata.deletionTimestamp = Timestamp(seconds: 5)
        node.podCIDRs = [CIDR("10.244.0.0/24")!]
        node.taintKeys = [Node.deletionTaintKey]
        let serviceCIDR = ServiceCIDR(metadata: meta, cidrs: [CIDR("fd00::/112")!])
        func again<Object: Codable>(_ object: Object) throws -> Object {
            try JSONDecoder().decode(Object.self, from: JSONEncoder().encode(object))
        }
        #expect(try again(service) == service)
        #expect(try again(slice) == slice)
        #expect(try again(endpoints) == endpoints)
        #expect(try again(node) == node)
        #expect(try again(serviceCIDR) == serviceCIDR)
    }

    @Test func manyEndpointsAreCompact() {
        #expect(MemoryLayout<Endpoint>.stride <= 56)
    }
}
