<?php
// Asks the API of Icinga: api.php METHOD PATH [BODY]
[, $method, $path] = $argv;
$http = [
    'method' => $method,
    'header' => [
        'Authorization: Basic ' . base64_encode('director:secret'),
        'Accept: application/json',
    ],
    'content' => $argv[3] ?? '',
    'ignore_errors' => true,
];
$ssl = ['verify_peer' => false, 'verify_peer_name' => false];
$context = stream_context_create(['http' => $http, 'ssl' => $ssl]);
echo file_get_contents("https://127.0.0.1:5665/v1/$path", false, $context);
