import TestAPIServer

@main
struct TestAPIServerProgram {
    static func main() {}
}
