@description('The name of the function app.')
param functionAppName string

@description('Where the package lies: a public address that ends in released-package.zip and does not redirect.')
param packageUri string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource package 'Microsoft.Web/sites/extensions@2025-03-01' = {
  parent: app
  name: 'onedeploy'
  // Documented for Flex Consumption; the types know the name and not what belongs to it.
  #disable-next-line BCP187
  properties: {
    packageUri: packageUri
    remoteBuild: false
  }
}
