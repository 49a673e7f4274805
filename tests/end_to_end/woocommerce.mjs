// node woocommerce.mjs CLIENTS OPTIONS METHOD ENDPOINT [DATA] [PARAMETERS]
//
// Makes one call with the client that npm installed into the folder CLIENTS; OPTIONS, DATA and PARAMETERS are JSON.
// Prints status and body of the answer as JSON, whether it is a refusal or not.

import { createRequire } from "node:module";

const [clients, options, method, endpoint, ...more] = process.argv.slice(2);
const WooCommerceRestApi = createRequire(`${clients}/`)("@woocommerce/woocommerce-rest-api").default;
const api = new WooCommerceRestApi(JSON.parse(options));

let answer;
try {
  answer = await api[method](endpoint, ...more.map((each) => JSON.parse(each)));
} catch (error) {
  if (!error.response) throw error;
  answer = error.response;
}
console.log(JSON.stringify({ status: answer.status, body: answer.data }));
