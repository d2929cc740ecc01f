package grpcapi

// Methods returns the paths of all methods that are served.
func (s *Server) Methods() []string {
	var paths []string
	for service, methods := range s.services {
		for name := range methods {
			paths = append(paths, "/"+service+"/"+name)
		}
	}
	return paths
}
