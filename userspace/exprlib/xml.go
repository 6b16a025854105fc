package exprlib

import (
	"gabion/userspace/expr"
	"gabion/userspace/xmlpath"
)

func xmlFunctions() []expr.Function {
	return []expr.Function{
		bind2("XMLGetNodeValue", ok2(func(text, path string) string {
			if e := xmlpath.Find(text, path); e != nil {
				return e.Text()
			}
			return ""
		})),
		bind3("XMLGetAttributeValue", ok3(func(text, path, attr string) string {
			if e := xmlpath.Find(text, path); e != nil {
				value, _ := e.Attr(attr)
				return value
			}
			return ""
		})),
	}
}
