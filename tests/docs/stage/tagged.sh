# The first two of the machines serve the web.
curl -o /dev/null --aws-sigv4 aws:amz:ord1:ec2 -u "$(</run/pair)" http://127.0.0.1:8080/ \
    -d 'Action=CreateTags&ResourceId.1=1&ResourceId.2=2&Tag.1.Key=role&Tag.1.Value=web'
