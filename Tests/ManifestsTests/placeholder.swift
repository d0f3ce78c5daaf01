@testable import Manifests
