// node aws_sdk.mjs CLIENTS OPTIONS KIND NAME [INPUT]
//
// Does one thing with the EC2 client that npm installed into the folder CLIENTS; OPTIONS and INPUT are JSON.
// KIND is "send" (NAME is a command, as in DescribeInstances), "wait" (for a waiter, as in InstanceRunning) or "pages"
// (of a paginator, as in DescribeInstances). Prints what came of it as JSON: the answer, the waiter's end, all pages, or
// the code and the status of a refusal.

import { createRequire } from "node:module";

const [clients, options, kind, name, input = "{}"] = process.argv.slice(2);
const ec2 = createRequire(`${clients}/`)("@aws-sdk/client-ec2");
const client = new ec2.EC2Client(JSON.parse(options));

const deeds = {
  send: (given) => client.send(new ec2[`${name}Command`](given)),
  wait: (given) => ec2[`waitUntil${name}`]({ client, minDelay: 0.05, maxDelay: 0.05, maxWaitTime: 20 }, given),
  pages: async ({ pageSize, ...given }) => {
    const pages = [];
    for await (const page of ec2[`paginate${name}`]({ client, pageSize }, given)) pages.push(page);
    return pages;
  },
};

let outcome;
try {
  outcome = await deeds[kind](JSON.parse(input));
} catch (error) {
  if (!error.$metadata) throw error;
  outcome = { code: error.name, status: error.$metadata.httpStatusCode };
}
console.log(JSON.stringify(outcome));
