package loader

import "strings"

func contains(err error, want string) bool { return strings.Contains(err.Error(), want) }
