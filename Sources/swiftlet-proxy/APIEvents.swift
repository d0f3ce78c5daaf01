import KubernetesClient
import ServiceProxy
import Synchronization

/// Reports to the API server what people who look at the Node or at a Service should read (2.13).
final class APIEvents: ControllerObserver {
    let recorder: EventRecorder
    private let nodeName: String
    private let hasStarted = Atomic(false)

    static let reporter = "swiftlet-proxy"
    /// What kube-proxy says that it does when it starts.
    static let startAction = "StartKubeProxy"

    init(_ recorder: EventRecorder, nodeName: String) {
        self.recorder = recorder
        self.nodeName = nodeName
    }

    /// The first objects are there, so that the server is.
    func received(services: Int, endpoints: Int, isQueued: Bool) {
        guard !hasStarted.exchange(true, ordering: .relaxed) else { return }
        happened(
            ProxyEvent(about: .node, isWarning: false, reason: "Starting", action: Self.startAction, note: "")
        )
    }

    func happened(_ event: ProxyEvent) {
        recorder.record(
            Event(
                regarding: reference(event.subject),
                type: event.isWarning ? .warning : .normal,
                reason: event.reason,
                action: event.action,
                note: event.note
            )
        )
    }

    /// The process is going to end since a server cannot have its address; waits until people can read so.
    func reportEnd(reason: String, of server: String, _ address: BindAddress, _ error: any Error) async {
        let note = "The server \(server) cannot listen on \(address): \(error)"
        happened(ProxyEvent(about: .node, reason: reason, action: Self.startAction, note: note))
        await recorder.flush(within: .seconds(2))
    }

    private func reference(_ subject: ProxyEvent.Subject) -> Event.Reference {
        switch subject {
        // kubelet and kube-proxy take the name for the UID, and `kubectl describe node` looks for that.
        case .node: Event.Reference(kind: "Node", name: nodeName, uid: nodeName)
        case .service(let name, let uid):
            Event.Reference(kind: "Service", namespace: name.namespace, name: name.name, uid: uid)
        }
    }
}
