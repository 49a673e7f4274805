"""python2.7 boto2_calls.py FOLDER ENDPOINT ACCESS_KEY SECRET_KEY

Has boto, which pip laid out in the folder, do what is asked: each line of the input is a piece of Python 2, in which
`ec2` is boto's connection; each line of the output is its value as JSON, or what was refused.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

import boto

names = {"ec2": boto.connect_ec2_endpoint(*sys.argv[2:])}


def value_of(line):
    try:
        return eval(line, names)
    except SyntaxError:
        exec(line, names)
        return None


for line in iter(sys.stdin.readline, ""):
    try:
        value = value_of(line)
    except boto.exception.EC2ResponseError as refused:
        value = {"status": refused.status, "code": refused.error_code}
    sys.stdout.write(json.dumps(value, default=repr) + "\n")
    sys.stdout.flush()
