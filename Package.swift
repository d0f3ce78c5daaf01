// swift-tools-version: 6.2
import PackageDescription

// In CI every warning is an error; elsewhere a newer compiler may know warnings that this code does not.
let strict: [SwiftSetting] = Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]

// Release programs carry the Swift runtime, so that a node needs none. `-static-stdlib` has to be known when a module
// is compiled, as it decides which libraries the module asks the linker for.
let module: [SwiftSetting] = strict + [.unsafeFlags(["-static-stdlib"], .when(configuration: .release))]
let selfContained: [LinkerSetting] = [
    .unsafeFlags(["-static-stdlib", "-Xlinker", "--gc-sections"], .when(configuration: .release))
]
// The CNI plugin is copied onto hosts as one file: no shared library at all, not even libc.
let fullyStatic: [LinkerSetting] = [
    .unsafeFlags(["-static-executable", "-Xlinker", "--gc-sections"], .when(configuration: .release))
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nio = [
    Target.Dependency.product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")

func library(
    _ name: String,
    _ dependencies: [Target.Dependency] = [],
    testDependencies: [Target.Dependency] = [],
    exclude: [String] = []
) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: module),
        .testTarget(
            name: "\(name)Tests",
            dependencies: [.target(name: name), "TestSupport"] + dependencies + testDependencies,
            swiftSettings: strict
        ),
    ]
}

func program(_ name: String, _ dependencies: [Target.Dependency], linkerSettings: [LinkerSetting]) -> [Target] {
    [
        .executableTarget(
            name: name,
            dependencies: dependencies,
            swiftSettings: module,
            linkerSettings: linkerSettings
        )
    ]
}

let package = Package(
    name: "swiftlet",
    products: [
        .executable(name: "swiftlet", targets: ["swiftlet"]),
        .executable(name: "swiftlet-proxy", targets: ["swiftlet-proxy"]),
        .executable(name: "swiftletctl", targets: ["swiftletctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // Without its traits it needs no more of Foundation than FoundationEssentials.
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    // From the programs down to the values; a module depends only on modules below it.
    targets: [
        program("swiftlet", ["CNIPlugin"], linkerSettings: fullyStatic),
        program(
            "swiftlet-proxy",
            [
                "ServiceProxy", "CLinux", "ClusterClient", "ComponentLogs", "JSON", "KubernetesAPI", "KubernetesClient",
                "KubernetesSource", "KubernetesWire", "Manifests", "NetworkTypes", "PrometheusText", "ProxyAPI",
                "StatusServers", "Version", "YAML", logging, serviceLifecycle,
            ],
            linkerSettings: selfContained
        ),
        program(
            "swiftletctl",
            [
                "Reports", "IPAM", "ProxyAPI", "Stores", "ClusterClient", "JSON", "KubernetesAPI", "NetworkTypes",
                "Version", "YAML", argumentParser,
            ],
            linkerSettings: selfContained
        ),
        library(
            "CNIPlugin",
            [
                "PodNetwork", "IPAM", "CNI", "CLinux", "ClusterClient", "Digests", "FileLocks", "JSON", "KubernetesAPI",
                "Netlink", "NetworkTypes", "ServerTransport", "Stores", "Subprocesses", "Version", logging,
            ],
            testDependencies: ["TestAPIServer"]
        ),
        library("Reports", ["IPAM", "ProxyAPI", "ClusterClient", "JSON", "KubernetesAPI", "NetworkTypes"]),
        library(
            "ServiceProxy",
            [
                "ClusterClient", "Digests", "JSON", "KubernetesAPI", "LoadBalancer", "NFTables", "Netlink",
                "NetworkTypes", "PrometheusText", "ProxyAPI", "Subprocesses", logging,
            ],
            testDependencies: [
                "KubernetesClient", "KubernetesSource", "ServerTransport", "StatusServers", "TestAPIServer",
            ]
        ),
        library(
            "LoadBalancer",
            ["CLinux", "NetworkTypes", logging],
            testDependencies: ["Netlink"]
        ),
        library("StatusServers", ["JSON", "KubernetesAPI", "NetworkTypes", "PrometheusText", logging] + nio),
        library("ComponentLogs", ["JSON", logging]),
        library("ProxyAPI", ["NetworkTypes"]),
        library("PodNetwork", ["Digests", "Netlink", "NetworkTypes"]),
        library(
            "IPAM",
            ["ClusterClient", "JSON", "KubernetesAPI", "NetworkTypes"],
            testDependencies: ["store-worker"]
        ),
        library("CNI", ["JSON", "NetworkTypes"]),
        library("Manifests", ["ClusterClient", "KubernetesAPI", "YAML", logging]),
        library(
            "Stores",
            ["ClusterClient", "EtcdStore", "JSON", "KubernetesClient", "KubernetesStore", "NetworkTypes", logging],
            testDependencies: ["IPAM", "KubernetesAPI", "ServerTransport", "TestAPIServer", "store-worker"] + nio
        ),
        library(
            "KubernetesSource",
            ["ServerTransport", "ClusterClient", "KubernetesAPI", "KubernetesClient", "KubernetesWire", logging],
            testDependencies: ["TestAPIServer"]
        ),
        library(
            "KubernetesStore",
            ["ClusterClient", "Digests", "JSON", "KubernetesClient", "ServerTransport", "NetworkTypes"] + nio,
            testDependencies: ["TestAPIServer", logging]
        ),
        library(
            "EtcdStore",
            ["ClusterClient", "JSON", "ServerTransport", "NetworkTypes", logging] + nio,
            testDependencies: ["IPAM"]
        ),
        library(
            "KubernetesClient",
            [
                "ClusterClient", "NetworkTypes", "JSON", "KubernetesAPI", "ServerTransport", "Subprocesses", "YAML",
                logging,
            ],
            testDependencies: ["TestAPIServer"]
        ),
        library(
            "KubernetesWire",
            ["JSON", "KubernetesAPI", "NetworkTypes", protobuf],
            exclude: ["core", "discovery", "meta", "networking"].map { "Protos/\($0).proto" } + ["Protos/README.md"]
        ),
        library("ServerTransport", ["ClusterClient", "NetworkTypes", logging, httpClient] + nio),
        library("ClusterClient", ["FileLocks", "KubernetesAPI", "NetworkTypes"], testDependencies: ["store-worker"]),
        library("KubernetesAPI", ["NetworkTypes"]),
        library("PrometheusText"),
        library("NFTables", ["CNetfilter", "Netlink", "NetworkTypes"]),
        library("Netlink", ["CLinux", "NetworkTypes"]),
        library("Subprocesses"),
        library("FileLocks", ["CLinux"]),
        library("Digests"),
        library("YAML", ["CYAML", "JSON"]),
        library("JSON"),
        library("NetworkTypes"),
        [
            // What benchmarks measure with, and how they say it.
            .target(
                name: "Measuring",
                dependencies: ["CLinux", "Netlink"],
                path: "Benchmarks/Measuring",
                swiftSettings: module
            ),
            .executableTarget(
                name: "CNIBenchmark",
                dependencies: ["Measuring", "TestSupport", "JSON", "Netlink", "NetworkTypes", argumentParser],
                path: "Benchmarks/CNIBenchmark",
                swiftSettings: module,
                linkerSettings: selfContained
            ),
            .target(name: "Version", swiftSettings: module),
            .systemLibrary(name: "CLinux"),
            .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
            .systemLibrary(
                name: "CNetfilter",
                pkgConfig: "libnftnl",
                providers: [.apt(["libnftnl-dev", "libmnl-dev"])]
            ),
            // A process that tests of the local store start and kill.
            .executableTarget(
                name: "store-worker",
                dependencies: [
                    "ClusterClient", "EtcdStore", "IPAM", "KubernetesClient", "KubernetesStore", "NetworkTypes",
                    "TestSupport",
                    logging,
                ],
                path: "Tests/StoreWorker",
                swiftSettings: module,
                linkerSettings: selfContained
            ),
            .executableTarget(
                name: "IPAMBenchmark",
                dependencies: [
                    "Measuring", "TestSupport", "ClusterClient", "IPAM", "JSON", "KubernetesAPI", "Netlink",
                    "NetworkTypes", "Stores", argumentParser,
                ],
                path: "Benchmarks/IPAMBenchmark",
                swiftSettings: module,
                linkerSettings: selfContained
            ),
            .executableTarget(
                name: "ClientBenchmark",
                dependencies: ["Measuring", "KubernetesSource", argumentParser, logging],
                path: "Benchmarks/ClientBenchmark",
                swiftSettings: module,
                linkerSettings: selfContained
            ),
            .executableTarget(
                name: "ProxyBenchmark",
                dependencies: [
                    "Measuring", "ServiceProxy", "NFTables", "Netlink", "NetworkTypes", "TestAPIServer", argumentParser,
                    logging,
                ],
                path: "Benchmarks/ProxyBenchmark",
                swiftSettings: module,
                linkerSettings: selfContained
            ),
            .executableTarget(
                name: "UserspaceBenchmark",
                dependencies: ["CLinux", "LoadBalancer", "Measuring", "NetworkTypes", logging],
                path: "Benchmarks/UserspaceBenchmark",
                swiftSettings: module,
                linkerSettings: selfContained
            ),
            // A Kubernetes API server to test against, and the program that runs it on its own.
            .target(
                name: "TestAPIServer",
                dependencies: ["JSON", "KubernetesAPI", "KubernetesWire", "NetworkTypes", "YAML", logging] + nio,
                path: "Tests/APIServer",
                swiftSettings: module
            ),
            .executableTarget(
                name: "test-apiserver",
                dependencies: ["TestAPIServer", argumentParser, logging],
                path: "Tests/APIServerProgram",
                swiftSettings: module,
                linkerSettings: selfContained
            ),
            .testTarget(
                name: "TestAPIServerTests",
                dependencies: ["TestAPIServer", "TestSupport", "JSON", "KubernetesWire"],
                path: "Tests/APIServerTests",
                swiftSettings: strict
            ),
            // The manifests and scripts that install Swiftlet, with the programs that they run.
            .testTarget(
                name: "InstallTests",
                dependencies: [
                    "TestAPIServer", "TestSupport", "ClusterClient", "IPAM", "JSON", "KubernetesAPI", "Netlink",
                    "NetworkTypes", "Stores",
                ],
                path: "Tests/InstallTests",
                swiftSettings: strict
            ),
            .target(
                name: "TestSupport",
                dependencies: ["ClusterClient", "IPAM", "KubernetesAPI", "Netlink", "NetworkTypes"],
                path: "Tests/TestSupport",
                swiftSettings: module
            ),
        ],
    ].flatMap { $0 },
    swiftLanguageModes: [.v6]
)
