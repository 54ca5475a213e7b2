// This file writes results as JUnit XML, in the form that CI systems agree on:
// https://github.com/testmoapp/junitxml

package cmd

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes one suite, named after the configuration.
func writeJUnit(path, config string, results []ran) error {
	suite := junitSuite{Name: config, Tests: len(results)}
	var total time.Duration
	for _, r := range results {
		total += r.took
		made := junitCase{Name: r.Name, Class: "afterchat." + r.Source, File: config, Time: seconds(r.took)}
		if !r.Passed {
			suite.Failures++
			var what []string
			for _, d := range r.Mismatch {
				what = append(what, d.What)
			}
			made.Failure = &junitFailure{
				Message: "not as expected: " + strings.Join(what, ", "), Type: "mismatch", Text: "\n" + mismatchText(r.Mismatch),
			}
		}
		suite.Cases = append(suite.Cases, made)
	}
	suite.Time = seconds(total)
	text, err := xml.MarshalIndent(junitSuites{
		Tests: suite.Tests, Failures: suite.Failures, Time: suite.Time, Suites: []junitSuite{suite},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte(xml.Header), append(text, '\n')...), 0o644)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
