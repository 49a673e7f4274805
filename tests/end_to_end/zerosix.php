<?php
// php zerosix.php WAY HASH METHOD URL BODY, with CONSUMER_KEY and CONSUMER_SECRET in the environment
//
// Makes one call signed by the PECL extension OAuth and prints status and body of the answer. WAY is "query", as
// ZeroSix's own PHP client does it (the header's parameters after a bare "?", JSON in the body of every method, GET
// included; source: zerosix-json.md), or "header", as the extension does it by itself.

[, $way, $hash, $method, $url, $body] = $argv;
$hashes = ['sha1' => OAUTH_SIG_METHOD_HMACSHA1, 'sha256' => OAUTH_SIG_METHOD_HMACSHA256];

$oauth = new OAuth(getenv('CONSUMER_KEY'), getenv('CONSUMER_SECRET'), $hashes[$hash]);
$oauth->setNonce(md5(uniqid(mt_rand(), true)));
$oauth->setTimestamp(time());
$oauth->setVersion('1.0');
$header = $oauth->getRequestHeader($method, $url . '?', []);

$headers = ['Content-Type: application/json'];
if ($way === 'query') {
    $url .= '?' . str_replace([',', '"'], ['&', ''], substr($header, strlen('OAuth ')));
} else {
    $headers[] = 'Authorization: ' . $header;
}
$request = ['method' => $method, 'header' => $headers, 'content' => $body, 'ignore_errors' => true];
$answer = file_get_contents($url, false, stream_context_create(['http' => $request]));
echo explode(' ', $http_response_header[0])[1], "\n", $answer;
